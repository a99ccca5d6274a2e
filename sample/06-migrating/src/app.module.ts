import { Module } from '@nestjs/common';
import { AppController } from './app.controller.js';
import { AppService } from './app.service.js';
import { GreetingsModule } from './greetings/greetings.module.js';

@Module({
  imports: [GreetingsModule],
  controllers: [AppController],
  providers: [AppService],
})
export class AppModule {}
