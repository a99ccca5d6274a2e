import { Test, TestingModule } from '@nestjs/testing';
import { firstValueFrom, of, throwError } from 'rxjs';
import { GreetingsController } from './greetings.controller.js';

describe('GreetingsController', () => {
  const greeter = { send: vi.fn(), emit: vi.fn() };
  let controller: GreetingsController;

  beforeEach(async () => {
    const app: TestingModule = await Test.createTestingModule({
      controllers: [GreetingsController],
      providers: [{ provide: 'GREETER', useValue: greeter }],
    }).compile();

    controller = app.get<GreetingsController>(GreetingsController);
  });

  it('should pass on what the greeter says', async () => {
    greeter.send.mockReturnValue(of('Hello Ada!'));
    expect(await firstValueFrom(controller.greet('Ada'))).toBe('Hello Ada!');
    expect(greeter.send).toHaveBeenCalledWith('greet', 'Ada');
  });

  it('should turn its refusal into a 404', async () => {
    greeter.send.mockReturnValue(throwError(() => new Error('nobody')));
    await expect(
      firstValueFrom(controller.greet('nobody')),
    ).rejects.toMatchObject({ status: 404 });
  });
});
